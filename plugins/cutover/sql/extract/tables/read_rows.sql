select {columns} from {source} as t where {condition}
