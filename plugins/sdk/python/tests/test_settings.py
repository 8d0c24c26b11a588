import unittest

from wasmill._settings import BadSettings, parse_settings, schema_of

SCHEMA = schema_of(
    {
        "factor": {"type": "integer", "default": 2, "minimum": 1},
        "zones": {"type": "array", "items": {"type": "string", "minLength": 2}, "default": []},
        "mode": {"enum": ["fast", "exact"], "default": "fast"},
        "limit": {"type": ["number", "null"]},
    }
)


class Settings(unittest.TestCase):
    def refused(self, text, message):
        with self.assertRaises(BadSettings) as refusal:
            parse_settings(text, SCHEMA)
        self.assertIn(message, str(refusal.exception))

    def test_defaults(self):
        """Good settings come with their defaults."""
        settings = parse_settings('{"limit": 0.5, "zones": ["JFK"]}', SCHEMA)
        self.assertEqual(settings, {"limit": 0.5, "zones": ["JFK"], "factor": 2, "mode": "fast"})

    def test_errors_name_the_setting(self):
        """An error names the setting and says what was expected."""
        self.refused('{"limit": 1, "factor": 0}', 'setting "factor": expected at least 1, found 0')
        self.refused('{"limit": 1, "factor": true}', 'setting "factor": expected an integer, found true')
        self.refused('{"limit": 1, "zones": ["x"]}', 'setting "zones[0]": expected a text of at least 2 characters, found "x"')
        self.refused('{"limit": 1, "mode": "slow"}', 'setting "mode": expected "fast" or "exact", found "slow"')
        self.refused('{"limit": "1"}', 'setting "limit": expected a number or null, found "1"')
        self.refused("{}", 'setting "limit" is missing')
        self.refused("[]", "settings: expected an object, found []")

    def test_unknown_settings(self):
        """An unknown setting is refused, with the one that was probably meant."""
        self.refused('{"x": 1}', 'unknown setting "x", expected factor, zones, mode, limit')
        self.refused('{"facotr": 1}', 'did you mean "factor"?')

    def test_schemas_that_would_not_be_checked(self):
        """A limit that would silently do nothing is refused."""
        with self.assertRaisesRegex(TypeError, '"format" is not among'):
            schema_of({"at": {"type": "string", "format": "date"}})
