"""A local Azure OpenAI: another company's server that happens to live here.

It is written from the description of the service, never from our client, and imports nothing of ours
but the frozen backbone that it looks at pictures with.
"""
