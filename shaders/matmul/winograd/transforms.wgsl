// Transforms of F(2 x 2, 3 x 3) and F(4 x 4, 3 x 3) along one axis (Lavin and Gray 2015, arXiv
// 1509.09308), as expressions of named values, for each point of interpolation.
//
// Blocks of 2: the points 0, 1, infinity and -1. Of an image enlarged by two, whose pixels are equal in
// pairs, the last is zero; its three different pixels are given then. Blocks of 4: 0, 3/4, -3/4, 3/2,
// -3/2 and infinity, which err half as much as 0, 1, -1, 2, -2.
//
// What blocks of 4 take of pixels, weights and sums: with a sixteenth of the pixels and twice the
// weights, sums of products are at most 6 times channels, largest pixel and largest weight, where
// results are 9 times, and small weights keep their digits in f16. Powers of two, 1 when multiplied.
//% set pixel_scale, weight_scale, result_scale = ("0.0625", "2.0", "8.0") if block == 4 else ("1.0", "1.0", "1.0")
//% set points = 3 if doubles else block + 2
//% set pixels = 3 if doubles else block + 2

//% macro plane(y, x)
{{- (3 * y + x if y < 3 and x < 3 else 12 + x if y == 3 else 9 + y) if block == 2 else 6 * y + x }}
//%- endmacro

//% macro of_pixels(k, d)
//% if doubles
//% set rows = [d[0] ~ " - " ~ d[1], "2.0 * " ~ d[1], d[1] ~ " - " ~ d[2]]
//% elif block == 2
//% set rows = [d[0] ~ " - " ~ d[2], d[1] ~ " + " ~ d[2], d[1] ~ " - " ~ d[3], d[2] ~ " - " ~ d[1]]
//% else
//% set a = "(%s - 2.25 * %s)" % (d[4], d[2])
//% set b = "0.75 * (%s - 2.25 * %s)" % (d[3], d[1])
//% set c = "(%s - 0.5625 * %s)" % (d[4], d[2])
//% set e = "1.5 * (%s - 0.5625 * %s)" % (d[3], d[1])
//% set first = "%s - 2.8125 * %s + 1.265625 * %s" % (d[4], d[2], d[0])
//% set last = "%s - 2.8125 * %s + 1.265625 * %s" % (d[5], d[3], d[1])
//% set rows = [first, a ~ " + " ~ b, a ~ " - " ~ b, c ~ " + " ~ e, c ~ " - " ~ e, last]
//% endif
{{- rows[k] }}
//%- endmacro

//% macro of_weights(k, g)
//% if block == 2
//% set even = "0.5 * (%s + %s)" % (g[0], g[2])
//% set odd = "0.5 * " ~ g[1]
//% set rows = [g[0], even ~ " + " ~ odd, g[2], even ~ " - " ~ odd]
//% else
//% set a = "(%s + 0.5625 * %s) / -1.8984375" % (g[0], g[2])
//% set b = g[1] ~ " / -2.53125"
//% set c = "(%s + 2.25 * %s) / 7.59375" % (g[0], g[2])
//% set e = g[1] ~ " / 5.0625"
//% set rows = [g[0] ~ " / 1.265625", a ~ " + " ~ b, a ~ " - " ~ b, c ~ " + " ~ e, c ~ " - " ~ e, g[2]]
//% endif
{{- rows[k] }}
//%- endmacro

//% macro of_sums(i, m)
//% if block == 2
//% set rest = [" + " ~ m[3], " - " ~ m[3]] if not doubles else ["", ""]
//% set rows = [m[0] ~ " + " ~ m[1] ~ rest[0], m[1] ~ " - " ~ m[2] ~ rest[1]]
//% else
//% set a = "(%s + %s)" % (m[1], m[2])
//% set b = "(%s - %s)" % (m[1], m[2])
//% set c = "(%s + %s)" % (m[3], m[4])
//% set e = "(%s - %s)" % (m[3], m[4])
//% set first = m[0] ~ " + " ~ a ~ " + " ~ c
//% set second = "0.75 * " ~ b ~ " + 1.5 * " ~ e
//% set third = "0.5625 * " ~ a ~ " + 2.25 * " ~ c
//% set last = "0.421875 * " ~ b ~ " + 3.375 * " ~ e ~ " + " ~ m[5]
//% set rows = [first, second, third, last]
//% endif
{{- rows[i] }}
//%- endmacro
