// How a kernel reads its weights: as they lie in memory, or through `weight_at` where they are quantised.
// A word of them at a place of the matrix is {{ "{{" }} weight("place") {{ "}}" }}, trimmed.
//% macro weight(place)
//% if q_format is defined
weight_at({{ place }})
//% else
w[{{ place }}]
//% endif
//% endmacro
