"""Making pictures fit for Rekognition: from other formats, from what is too large, without metadata."""
