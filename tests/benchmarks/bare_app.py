"""The least that a Textual app can be that does the same: a list, a footer with keys, a page behind one of them."""

from textual.app import App
from textual.screen import ModalScreen
from textual.widgets import Footer, OptionList, Static


class Page(ModalScreen):
    def compose(self):
        yield Static("Keys of the bare app")


class Bare(App):
    BINDINGS = (("question_mark", "page", "help"), ("q", "quit", "quit"))

    def compose(self):
        yield OptionList("one", "two")
        yield Footer(show_command_palette=False)

    def action_page(self):
        self.push_screen(Page())


if __name__ == "__main__":
    Bare().run()
