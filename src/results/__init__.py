"""What a scored method leaves in a folder: one schema, one writer and one reader for all of them.

Trained runs, scored checkpoints and scored folders of maps write the same files:

| file | holds |
|---|---|
| `results.json` | `{data set: {metric: value}}`; null where a metric is undefined on every image |
| `per_image.csv` | a line for each image: its data set, its name, its own value of each metric |
| `histograms.npz` | the joint histogram of each image, in the order of `per_image.csv` |
| `kept.npz` | what else of each image a set's value needs, `(n, k)` by name; if anything |
| `curves.json` | precision, recall and F over 256 thresholds, averaged over the images of a set |
| `provenance.json` | what the numbers mean, of which images they are, the files' checksums |
"""
