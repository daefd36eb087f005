"""The same named columns from leadscore and from its peers, on generated logs of growing size, values compared.

columns (which) · log (of what) · by_… (one engine a file) · worker (one engine in a process of its own) ·
measure (seconds and bytes) · compare (are they equal) · one_lead (a single lead) · report (table and plot).
``make bench-features`` runs all of it.
"""
