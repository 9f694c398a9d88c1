where ({columns}) > ({values})
