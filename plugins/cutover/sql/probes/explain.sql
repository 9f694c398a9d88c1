explain (analyze, timing off, format json) {query}
