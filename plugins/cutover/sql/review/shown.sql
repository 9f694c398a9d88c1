select to_json(shown.*) from (select {columns}) as shown
