"""An electromagnetic tracker near metal: coils, secondary fields, sensor, a solver that knows free space only, random scenes."""
