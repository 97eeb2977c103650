"""Writes scalars.tfevents, the file of TestTensorBoardFraming, with TensorBoard's own record writer and messages."""
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

TIME = 1700000000.25
Value = summary_pb2.Summary.Value
EVENTS = [
    event_pb2.Event(wall_time=TIME, file_version="brain.Event:2"),
    event_pb2.Event(wall_time=TIME, step=8, session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START)),
    event_pb2.Event(wall_time=TIME, step=8, summary=summary_pb2.Summary(value=[
        Value(tag="train/loss", simple_value=2.5),
        Value(tag="train/learning_rate", simple_value=3e-4),
    ])),
    event_pb2.Event(wall_time=TIME, step=300, summary=summary_pb2.Summary(value=[
        Value(tag="eval/loss", simple_value=float("inf")),
        Value(tag="eval/perplexity", simple_value=-0.0),
    ])),
]
with open("scalars.tfevents", "wb") as f:
    writer = RecordWriter(f)
    for event in EVENTS:
        writer.write(event.SerializeToString(deterministic=True))
    writer.flush()
