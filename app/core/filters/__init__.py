"""Define what a filter means, and evaluate all filters in use at once.

filter          the fields and limits of a filter, and the check of a client's filter
analysis        items and filters in the form in which they are compared
matching        the definition of a match: the steps, and which of them rejects an item
explain         for users: what each step requires, and what the item has
filter_index    matching of one item against all slots at once, with exact counts by step
entitled_slots  the slots whose token entitles them to see an item
"""
