"""Pure rules: no I/O, no clock, no log, no metric, no event loop, no randomness; time is an argument.

    text          what two equal words are, and where a term stands in a text
    news          NewsItem and RawNews: the item on the wire, and what a source hands in
    subscription  Filter: what one channel of one user wants
    reading       an item and a filter as the matcher reads them, tokenised once
    matching      why_not: the slow, obvious truth about one item and one filter
    explaining    the same for people: each step with what it wanted and what it got
    lexicon       terms to slots: which slots listed a term that stands in this text
    index         the fast truth: one item against every slot, with exact reject counts
    entitled_slots  which slots may see an item
    tally         how many of something each slot had
    grouping      which slots want which of several items
    urls          canonical URLs and item ids
    entities      tickers, people, category and tags by vocabulary
    scoring       impact and relevance, 0 to 100
    nearness      near-duplicate texts
    strict_json   which JSON is accepted from outside
    fields        field-by-field conversion that names every bad field
    messages      what a client may say
    outbound      what the server may say
    wire          the same as bytes
    deflate       compressed payloads: what is agreed with a client, and the compressing
    phases        how a connection stands to the log: the table
    resuming      where in the log a connection begins, and when continuity cannot be proven
    window        what a client has not acknowledged
    identity      who is asking, and what a token lets him do
    entitlement   what a token lets its bearer see
    closing       why a connection ends: codes, words, advice
    limits        every limit, and the token bucket
    errors        the one tree of errors

May import: the standard library's pure parts, msgspec, pyroaring. Nothing else of `app`.
"""
