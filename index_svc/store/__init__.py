"""All SQL, and nothing but SQL: one file a group of tables. Values travel as parameters only, rows are asked for by their project."""
