"""The tabs of the data room, one file each."""
