import json
import unittest
from unittest import mock

from wasmill import _traceback


def parse(text):
    return json.loads(text)


class Traceback(unittest.TestCase):
    def test_no_file_is_opened(self):
        """A traceback through a plugin and the standard library shows the plugin's lines, and reads no file for it."""
        _traceback.keep_sources()
        try:
            if True: parse("{")  # A line that is no statement by itself.
        except ValueError as error:
            with mock.patch("builtins.open", side_effect=AssertionError), mock.patch("os.stat", side_effect=AssertionError):
                text = _traceback.describe(error)
        self.assertRegex(text, r'(?s)^Traceback .*test_traceback.py", line \d+, in parse\n    return json.loads\(text\)\n')
        self.assertIn('if True: parse("{")', text)
        self.assertRegex(text, r"(?s)in decode\n.*JSONDecodeError: Expecting property name")

    def test_causes(self):
        """What an error came from stands before it."""
        try:
            try:
                parse("")
            except ValueError as error:
                raise RuntimeError("no settings") from error
        except RuntimeError as error:
            text = _traceback.describe(error)
        first, second = text.split(_traceback._CAUSE)
        self.assertIn("JSONDecodeError", first)
        self.assertTrue(second.endswith("RuntimeError: no settings"), second)
