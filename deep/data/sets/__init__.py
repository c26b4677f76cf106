"""One module per kind of data set: from its files to a DataSet."""
