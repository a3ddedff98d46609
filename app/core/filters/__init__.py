"""Define what a filter means, and evaluate all filters in use at once. A slot is a small integer that stands for one
filter in use: one channel of one connection.

filter          the fields and limits of a filter, and the check of a client's filter
analysis        conversion of items and filters to the form in which they are compared
matching        the definition of a match: the steps of a filter, and which of them rejects an item
explain         for users: what each step requires, and what the item has
filter_index    matching of one item against all slots at once, with exact counts of rejections by step
entitled_slots  the slots whose access token allows them to see an item
"""
