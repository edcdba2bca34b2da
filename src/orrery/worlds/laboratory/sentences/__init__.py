"""Sentences about the laboratory: words (`lexicon`, `grammar.lark`, `parser`) become a request (`nouns`,
`clauses`, `verbs`: a `Story`), a request becomes a scene (`kinds`, `layout`, `aims`, `staging`), and whether
what is told happens is judged from states and impacts (`deeds`, `judging`)."""
