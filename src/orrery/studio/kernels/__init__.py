"""What Warp compiles: functions of numbers, vectors and its own structs, whose types its compiler checks."""
