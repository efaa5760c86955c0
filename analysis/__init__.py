"""Reads run directories and draws conclusions: metrics, figures, report.  Cannot see the model.

Nothing here imports matplotlib, pyarrow or jinja2 until a function needs it.
"""
