"""What users call: predictions of any config of any host on images and videos."""
