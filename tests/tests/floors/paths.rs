//! Where the paths of a file lead, read from its tokens: comments and texts are none, and groups are whole.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// A path that leaves its module.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The line in the file, from 1.
    pub line: usize,
    /// How many modules up it begins; none if it begins at the crate.
    pub up: Option<usize>,
    /// The first name behind `crate` or the last `super`.
    pub name: String,
}

/// The modules that a file declares and uses.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Read {
    /// Paths in code that isn't for tests alone.
    pub paths: Vec<Found>,
    /// Modules in files of their own that are for tests alone.
    pub test_modules: Vec<String>,
    /// Files beside this one that are, by the attribute `path` of their module.
    pub test_files: Vec<String>,
}

/// Reads a file's text.
pub(crate) fn read(text: &str) -> Read {
    let mut read = Read::default();
    let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{error}"));
    walk(tokens, 0, &mut read);
    read
}

/// `depth` modules stand around these tokens within the file.
fn walk(tokens: TokenStream, depth: usize, read: &mut Read) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        if is_test_attribute(&tokens[at..]) {
            at = skip_item(&tokens, at + 2, read);
            continue;
        }
        at += match &tokens[at] {
            TokenTree::Ident(word) if word == "crate" || word == "super" => {
                take_path(&tokens[at..], depth, read)
            }
            TokenTree::Ident(word) if word == "mod" => take_module(&tokens[at..], depth, read),
            TokenTree::Group(group) => {
                walk(group.stream(), depth, read);
                1
            }
            _ => 1,
        };
    }
}

/// `#[cfg(test)]`, and `#[cfg(all(test, …))]`.
fn is_test_attribute(tokens: &[TokenTree]) -> bool {
    let [TokenTree::Punct(hash), TokenTree::Group(group), ..] = tokens else { return false };
    let text = group.stream().to_string().replace(' ', "");
    hash.as_char() == '#' && (text == "cfg(test)" || text.starts_with("cfg(all(test"))
}

/// The index behind the item that begins at `at`: behind its first semicolon or block.
fn skip_item(tokens: &[TokenTree], mut at: usize, read: &mut Read) -> usize {
    let (mut module, mut file) = (None, None);
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Ident(word) if word == "mod" => module = tokens.get(at + 1).map(ToString::to_string),
            TokenTree::Punct(mark) if mark.as_char() == ';' => {
                match file {
                    Some(file) => read.test_files.push(file),
                    None => read.test_modules.extend(module),
                }
                return at + 1;
            }
            TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket => {
                file = file.or_else(|| path_attribute(group))
            }
            // Of a field or a variant, which ends at a comma.
            TokenTree::Punct(mark) if mark.as_char() == ',' => return at + 1,
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace && !is_use(tokens, at) => {
                return at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    at
}

/// The file of `[path = "file"]`.
fn path_attribute(group: &Group) -> Option<String> {
    let text = group.stream().to_string();
    Some(text.strip_prefix("path = \"")?.strip_suffix('"')?.to_owned())
}

/// The braces at `at` are those of `use a::{…}`.
fn is_use(tokens: &[TokenTree], at: usize) -> bool {
    at > 0 && matches!(&tokens[at - 1], TokenTree::Punct(mark) if mark.as_char() == ':')
}

/// `mod name { … }`: within it `super` is the file's own module.
fn take_module(tokens: &[TokenTree], depth: usize, read: &mut Read) -> usize {
    match tokens {
        [_, TokenTree::Ident(_), TokenTree::Group(group), ..] => {
            walk(group.stream(), depth + 1, read);
            3
        }
        _ => 1,
    }
}

/// `crate::name`, `super::super::name`, and the same with braces; returns how many tokens it took.
fn take_path(tokens: &[TokenTree], depth: usize, read: &mut Read) -> usize {
    let mut up = None;
    let mut at = 0;
    while let Some(TokenTree::Ident(word)) = tokens.get(at) {
        let is_start = word == "crate" || word == "super";
        if !is_start || !is_path_mark(tokens.get(at + 1)) || !is_path_mark(tokens.get(at + 2)) {
            break;
        }
        up = if word == "super" { Some(up.unwrap_or(0) + 1) } else { None };
        at += 3;
    }
    if at == 0 {
        return 1;
    }
    // Modules of the file itself are left first; what stays within the file is no arrow.
    let up = match up {
        Some(up) if up <= depth => return at,
        up => up.map(|up| up - depth),
    };
    match tokens.get(at) {
        Some(TokenTree::Ident(name)) => {
            read.paths.push(Found { line: name.span().start().line, up, name: name.to_string() });
            at + 1
        }
        Some(TokenTree::Group(group)) => {
            first_names(group.stream(), up, read);
            at + 1
        }
        _ => at.max(1),
    }
}

fn is_path_mark(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Punct(mark)) if mark.as_char() == ':')
}

/// The first names of the pieces between commas: `{a::b, c, d::{e, f}}` has a, c and d.
fn first_names(tokens: TokenStream, up: Option<usize>, read: &mut Read) {
    let mut is_first = true;
    for token in tokens {
        match token {
            TokenTree::Ident(name) if is_first => {
                read.paths.push(Found { line: name.span().start().line, up, name: name.to_string() });
                is_first = false;
            }
            TokenTree::Punct(mark) if mark.as_char() == ',' => is_first = true,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Found, Read, read};

    fn names(text: &str) -> Vec<(Option<usize>, String)> {
        read(text).paths.into_iter().map(|Found { up, name, .. }| (up, name)).collect()
    }

    #[test]
    fn every_form_of_a_path_is_found() {
        let text = "use crate::a::B; use crate::{c::{D, E}, f}; fn g() { crate::h::i(super::super::j::K) } pub(crate) struct L;";
        let crate_names = ["a", "c", "f", "h"].map(|name| (None, name.to_owned()));
        let expected: Vec<_> = crate_names.into_iter().chain([(Some(2), "j".to_owned())]).collect();
        assert_eq!(names(text), expected);
    }

    #[test]
    fn comments_and_texts_are_no_paths() {
        assert_eq!(names("//! [`crate::a`]\n// crate::b\n/// crate::c\nconst D: &str = \"crate::e\";"), []);
    }

    #[test]
    fn code_for_tests_alone_is_none() {
        let text = "#[cfg(test)] use crate::{a, b}; #[cfg(test)] #[allow(x)] mod tests { use crate::c; } \
                    #[cfg(test)] pub(crate) mod testing; \
                    #[cfg(test)] #[path = \"x.rs\"] mod y; #[cfg(test)] impl crate::d::E { fn f() {} } use crate::g;";
        assert_eq!(names(text), [(None, "g".to_owned())]);
        assert_eq!(read(text).test_modules, ["testing"]);
        assert_eq!(read(text).test_files, ["x.rs"]);
    }

    #[test]
    fn a_module_within_the_file_is_left_first() {
        assert_eq!(names("mod a { use super::b; use super::super::c; }"), [(Some(1), "c".to_owned())]);
    }

    #[test]
    fn the_line_is_that_of_the_name() {
        let expected = Found { line: 2, up: None, name: "a".to_owned() };
        assert_eq!(read("\nuse crate::a;"), Read { paths: vec![expected], ..Read::default() });
    }
}
