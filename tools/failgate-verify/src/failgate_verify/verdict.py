"""How a verification ends, when it does not end well. The command line turns each into its exit code."""


class Verdict(Exception):
    """Ends a verification; `sentence` is for the person who asked."""

    exit_code = 2

    def __init__(self, sentence: str) -> None:
        """Keep the sentence."""
        super().__init__(sentence)
        self.sentence = sentence


class Tampered(Verdict):
    """Something is not what was signed. `first_bad` is the first bad record, None when nothing tells."""

    exit_code = 1

    def __init__(self, first_bad: int | None, sentence: str) -> None:
        """Keep both."""
        super().__init__(sentence)
        self.first_bad = first_bad


class Unusable(Verdict):
    """What was given is not what this program reads."""


class Incomplete(Verdict):
    """Nothing is wrong with what is there, and something that the proof needs is not there."""

    exit_code = 3
