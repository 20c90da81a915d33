"""From scores to a cutoff: what one's own pairs say about where a match begins, how sure that is, and which lane a score falls in; pure."""
