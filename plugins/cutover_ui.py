"""Where Airflow finds the pages in a checkout: its folder of plugins. An installed engine has an entry point."""

from cutover.ui.plugin import CutoverPlugin

__all__ = ["CutoverPlugin"]
