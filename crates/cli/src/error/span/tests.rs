use super::of_source;

/// A line whose column is that of `|`, and what is meant; `?` in front: a jump is there.
const CASES: &[(&str, &str)] = &[
    ("\tif (ip->|protocol == 6)", "ip->protocol"),
    ("?\tif (|data + sizeof(*eth) > data_end)", "data + sizeof(*eth) > data_end"),
    ("?\tif (a && |b->c > 3)", "b->c > 3"),
    ("?\t|if (a > b)", "a > b"),
    ("\tvoid *data = (void *)(long)ctx->|data;", "ctx->data"),
    ("\tstruct value *v = |bpf_map_lookup_elem(&flows, &key);", "bpf_map_lookup_elem(&flows, &key)"),
    ("\tvalue->count|++;", "value->count++"),
    ("\tsecond->count |= value->count;", "second->count = value->count"),
    ("\t|return value->data[index];", "return value->data[index]"),
    ("\t|*event = now();", "*event"),
    ("\tx = a |+ b;", "a + b"),
    ("|}", "}"),
    ("\tno column", "no column"),
];

#[test]
fn expressions_are_found() {
    for (line, expected) in CASES {
        let jump = line.starts_with('?');
        let line = line.trim_start_matches('?');
        let column = line.find('|').map_or(0, |at| at as u32 + 1);
        let text = line.replacen('|', "", 1);
        let found = of_source(&text, column, jump);
        let meant: String = found.text.chars().skip(found.span.start).take(found.span.len()).collect();
        assert_eq!(meant, *expected, "{line}");
    }
}

#[test]
fn no_column_is_too_far() {
    for column in 0..9 {
        for text in ["", "é", "(", "a(", "]", "->", "\t"] {
            of_source(text, column, false);
            of_source(text, column, true);
        }
    }
}
