"""Classifying pictures, any number of them: from files, folders and tables to rows of answers.

All ways of predicting many pictures use `predictions`: what ``glyphnet predict`` prints, the file it writes
(`write_predictions`, which resumes after a kill), and Ray Data (`predict_dataset`).
"""

from .answers import Answer, Answering, Asked, csv_rows, json_row
from .pictures import Picture, image_files, left_out, pictures_in
from .predicting import FilePrediction, Prediction, predict_files, predictions
from .raydata import predict_dataset
from .writing import Written, unfinished_folder, write_predictions

__all__ = [
    "Answer",
    "Answering",
    "Asked",
    "FilePrediction",
    "Picture",
    "Prediction",
    "Written",
    "csv_rows",
    "image_files",
    "json_row",
    "left_out",
    "pictures_in",
    "predict_dataset",
    "predict_files",
    "predictions",
    "unfinished_folder",
    "write_predictions",
]
