"""The screen that people search with: templates, one style sheet, small ES modules, and the words in two languages.

What lives here: how things look and read. What does not: routes and data; khung.api gives those.
"""
