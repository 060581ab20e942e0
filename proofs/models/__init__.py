"""Rules that are tried on many more histories than anybody could think of, in time that is only counted."""
