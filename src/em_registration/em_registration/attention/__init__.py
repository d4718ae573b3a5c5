"""The published method: an attention network trained on a thin-plate spline through a few landmarks.

"Spatial registration for electromagnetic navigation in radiofrequency ablation", seed system 1: triangles between the landmarks, labels,
training with dynamically weighted losses, and the four metrics of the paper.
"""
