"""The table of adversarial cases against a whole mesh under the unchanged policy: the id of a test is the row's."""
