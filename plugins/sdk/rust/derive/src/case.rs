//! Names of variants as they are written in job files.

/// `OutOfRange` as `out_of_range`.
pub fn snake(name: &str) -> String {
    words(name, '_')
}

/// `OutOfRange` as `out-of-range`.
pub fn kebab(name: &str) -> String {
    words(name, '-')
}

fn words(name: &str, between: char) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(between);
        }
        words.extend(letter.to_lowercase());
    }
    words
}
