"""The three ways in which an analysis can be refused."""


class NoholdoutError(Exception):
    """An analysis was refused: what is wrong, why it matters, what to do.

    Parameters
    ----------
    problem
        What is wrong, with counts and an example.
    why
        Why it matters for the answer.
    todo
        What the user can do about it.
    """

    def __init__(self, problem: str, why: str = "", todo: str = "") -> None:
        self.problem, self.why, self.todo = problem, why, todo
        super().__init__(" ".join(part for part in (problem, why, todo) if part))

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        # Without this, an error raised in a worker process can't be sent back.
        return type(self), (self.problem, self.why, self.todo)


class DataError(NoholdoutError):
    """The data can't be read as asked (a missing column, text where numbers are needed)."""


class DesignError(NoholdoutError):
    """The data can be read, but this design can't answer here (no controls, one period)."""


class ConvergenceError(NoholdoutError):
    """A numerical routine didn't reach its solution, so there is no number to report."""
