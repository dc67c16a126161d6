"""G3: dj-stripe, in an environment of its own, beside ours."""
