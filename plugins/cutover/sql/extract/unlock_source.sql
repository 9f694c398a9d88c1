select cutover.release_source(%(source)s)
