"""What is read a million times for each time it is computed, answered before FastAPI is reached.

lane         in front of everything: a plain GET whose answer is in memory
dispatcher   the hot addresses with all they may be asked for; all else goes on to FastAPI
subjects     which addresses are hot, and what each of them is about
cache        answers by address and coding, bounded by bytes, forgotten when their subject changes
listener     hears of changes through Postgres; without it nothing in the cache counts
turnstile    one read at a time for all who ask the same
loader       prepared documents, read together
reader       the few statements that are read without SQLAlchemy
careful      the same waiting for whoever is answered past memory
capture      one answer of the application inside, as bytes
waiting      `Prefer: wait`
"""
