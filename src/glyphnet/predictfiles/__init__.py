"""Classifying pictures, any number of them: from files, folders and Parquet tables to rows of answers.

All ways of predicting many pictures go through `predictions`: what ``glyphnet predict`` prints, the file it writes
(`write_predictions`, which a killed process takes up where it was), and Ray Data (`predict_dataset`).
"""

from .answers import Answer, Answering, Asked, csv_rows, json_row
from .pictures import Picture, image_files, pictures_in
from .predicting import FilePrediction, Prediction, predict_files, predictions
from .raydata import predict_dataset
from .writing import Watching, Written, unfinished_folder, write_predictions

__all__ = [
    "Answer",
    "Answering",
    "Asked",
    "FilePrediction",
    "Picture",
    "Prediction",
    "Watching",
    "Written",
    "csv_rows",
    "image_files",
    "json_row",
    "pictures_in",
    "predict_dataset",
    "predict_files",
    "predictions",
    "unfinished_folder",
    "write_predictions",
]
