"""What a filter means, and how all filters are evaluated at once.

filter          the filter's fields, limits and checks
analysis        items and filters in the form that is compared
matching        the definition: which step rejects an item
explain         the same for people, step by step
filter_index    one item against every slot, with exact counts of rejections
entitled_slots  which slots may see an item
"""
