//! The parameters of a request, from its query or its form.

use axum::http::{HeaderMap, header};

use super::refusal::Refusal;
use crate::output::Artefact;

/// Characters of a text in a request: a class of a few words, or a file name.
const LONGEST_TEXT: usize = 256;
/// Largest number of bytes of such a text.
pub const LONGEST_UTF8: usize = 4 * LONGEST_TEXT;

/// The name in the record for a picture without a name.
const UNNAMED: &str = "upload";

/// Text parameters; the others are images to return.
const TEXTS: [&str; 3] = ["class", "name", "threshold"];

/// The options for one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// The class; `None`: the server's own class.
    pub class: Option<String>,
    /// The picture's name in the record.
    pub name: String,
    /// The lowest score of an anomalous picture; `None`: the server's threshold.
    pub threshold: Option<f32>,
    /// Images to return with the record.
    pub pictures: Vec<Artefact>,
    /// The one image to return instead of a record.
    pub only: Option<Artefact>,
}

/// The parameters of a request, as received.
#[derive(Debug, Clone, Default)]
pub struct Params {
    class: Option<String>,
    name: Option<String>,
    file_name: Option<String>,
    threshold: Option<String>,
    flags: [Option<bool>; Artefact::ALL.len()],
}

impl Params {
    /// Refuses an unknown parameter; `form`: it is a part of a form.
    pub fn check_name(key: &str, form: bool) -> Result<(), Refusal> {
        if TEXTS.contains(&key) || Artefact::ALL.iter().any(|artefact| artefact.name() == key) {
            return Ok(());
        }
        let picture = match (form, key) {
            (true, _) => "the picture goes into the part `image`; ",
            (false, "image") => "the picture is the body, or the part `image` of a form; ",
            (false, _) => "",
        };
        let known: Vec<&str> = TEXTS.into_iter().chain(Artefact::ALL.iter().map(|a| a.name())).collect();
        let message =
            format!("unknown parameter `{}`: {picture}expected one of {}", shown(key), known.join(", "));
        Err(Refusal::bad_request(message))
    }

    /// Sets one parameter.
    pub fn set(&mut self, key: &str, value: String) -> Result<(), Refusal> {
        // Programs that fill a form from files leave line ends in it.
        let value = value.trim_end_matches(['\r', '\n']).to_owned();
        if is_too_long(&value) {
            return Err(Refusal::bad_request(format!("`{}` is too long", shown(key))));
        }
        let twice = || Refusal::bad_request(format!("`{}` is given twice", shown(key)));
        let text = match key {
            "class" => &mut self.class,
            "name" => &mut self.name,
            "threshold" => &mut self.threshold,
            _ => {
                let mut flags = Artefact::ALL.iter().zip(&mut self.flags);
                let Some((_, flag)) = flags.find(|(artefact, _)| artefact.name() == key) else {
                    return Self::check_name(key, false);
                };
                let value = match value.as_str() {
                    "true" => true,
                    "false" => false,
                    _ => return Err(Refusal::bad_request(format!("`{key}` must be true or false"))),
                };
                return match flag.replace(value) {
                    Some(_) => Err(twice()),
                    None => Ok(()),
                };
            }
        };
        match text.replace(value) {
            Some(_) => Err(twice()),
            None => Ok(()),
        }
    }

    /// Sets the name of a form's file, used if there is no other name.
    pub fn set_file_name(&mut self, name: &str) -> Result<(), Refusal> {
        if is_too_long(name) {
            return Err(Refusal::bad_request("the file's name is too long"));
        }
        self.file_name = Some(name.to_owned());
        Ok(())
    }

    /// The options from all parameters. An empty text counts as not given, and so does a class of spaces.
    pub fn wanted(self, headers: &HeaderMap) -> Result<Wanted, Refusal> {
        let given = |text: Option<String>| text.filter(|t| !t.is_empty());
        let trimmed = |text: Option<String>| given(text.map(|t| t.trim().to_owned()));
        let threshold = match trimmed(self.threshold) {
            None => None,
            Some(text) => match text.parse::<f32>() {
                Ok(x) if (0.0..=1.0).contains(&x) => Some(x),
                _ => return Err(Refusal::bad_request("`threshold` must be a number from 0 to 1")),
            },
        };
        let flags = Artefact::ALL.iter().zip(self.flags);
        let pictures: Vec<Artefact> =
            flags.filter(|(_, flag)| *flag == Some(true)).map(|(a, _)| *a).collect();
        let only = match (wants_png(headers), &pictures[..]) {
            (false, _) => None,
            (true, []) => Some(Artefact::Overlay),
            (true, [Artefact::Raw]) => {
                return Err(Refusal::bad_request("`raw` is not a picture: ask for application/json"));
            }
            (true, [one]) => Some(*one),
            (true, _) => {
                return Err(Refusal::bad_request("one picture at a time: ask for application/json"));
            }
        };
        Ok(Wanted {
            class: trimmed(self.class),
            name: given(self.name).or(given(self.file_name)).unwrap_or_else(|| UNNAMED.to_owned()),
            threshold,
            pictures,
            only,
        })
    }
}

fn is_too_long(text: &str) -> bool {
    text.chars().nth(LONGEST_TEXT).is_some()
}

/// A parameter name of a request, shortened for a message.
fn shown(key: &str) -> String {
    key.chars().take(40).flat_map(char::escape_debug).collect()
}

/// Whether the client prefers PNG to JSON.
fn wants_png(headers: &HeaderMap) -> bool {
    let (mut json, mut png) = (Preference::default(), Preference::default());
    let lists = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    for range in lists.flat_map(|list| list.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or("").to_ascii_lowercase();
        let quality = parts.find_map(|p| p.strip_prefix("q=")).map_or(Ok(1.0), str::parse::<f32>);
        let Ok(quality) = quality else { continue };
        let (kind, sub) = media.split_once('/').unwrap_or((&media, ""));
        for (wanted, preference) in [(("application", "json"), &mut json), (("image", "png"), &mut png)] {
            let exactness = match (kind, sub) {
                ("*", "*") => 1,
                (kind, "*") if kind == wanted.0 => 2,
                exact if exact == wanted => 3,
                _ => continue,
            };
            if exactness >= preference.exactness {
                *preference = Preference { exactness, quality };
            }
        }
    }
    png.quality > json.quality
}

/// A client's preference for a media type, from the most specific matching range.
#[derive(Default)]
struct Preference {
    exactness: u8,
    quality: f32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT, value.parse().unwrap())])
    }

    #[test]
    fn json_unless_png_is_preferred() {
        for json in
            ["", "*/*", "application/json", "text/html", "image/png;q=0.5, */*", "image/png, */*", "q=,;;,/"]
        {
            assert!(!wants_png(&accept(json)), "{json}");
        }
        for png in ["image/png", "image/*", "IMAGE/PNG", "application/json;q=0.1, image/png;q=0.2"] {
            assert!(wants_png(&accept(png)), "{png}");
        }
    }

    #[test]
    fn parameters() {
        let wanted = |pairs: &[(&str, &str)], headers: &HeaderMap| {
            let mut params = Params::default();
            for (key, value) in pairs {
                params.set(key, (*value).to_owned())?;
            }
            params.wanted(headers)
        };
        let none = HeaderMap::new();
        let plain = wanted(&[("class", ""), ("overlay", "false")], &none).unwrap();
        assert_eq!((plain.class, plain.name.as_str(), plain.pictures.len()), (None, "upload", 0));
        let spaces = [("class", " \t"), ("threshold", " 0.5\r\n"), ("raw", "true\n"), ("name", " a \n")];
        let spaces = wanted(&spaces, &none).unwrap();
        assert_eq!((spaces.class, spaces.threshold, spaces.name.as_str()), (None, Some(0.5), " a "));
        assert_eq!(wanted(&[("class", " metal nut\n")], &none).unwrap().class.unwrap(), "metal nut");
        let all =
            [("class", "nut"), ("name", "../a"), ("threshold", "0.5"), ("raw", "true"), ("mask", "true")];
        let all = wanted(&all, &none).unwrap();
        assert_eq!(all.pictures, [Artefact::Mask, Artefact::Raw]);
        assert_eq!((all.name.as_str(), all.threshold), ("../a", Some(0.5)));
        let png = accept("image/png");
        assert_eq!(wanted(&[], &png).unwrap().only, Some(Artefact::Overlay));
        assert_eq!(wanted(&[("heatmap", "true")], &png).unwrap().only, Some(Artefact::Heatmap));

        let long = "ü".repeat(LONGEST_TEXT + 1);
        assert!(wanted(&[("name", &"ü".repeat(LONGEST_TEXT))], &none).is_ok());
        for (pairs, headers, message) in [
            (&[("overaly", "true")][..], &none, "unknown parameter `overaly`"),
            (&[("image", "x")], &none, "the picture is the body"),
            (&[("overlay", "1")], &none, "`overlay` must be"),
            (&[("overlay", "true"), ("overlay", "true")], &none, "`overlay` is given twice"),
            (&[("class", "a"), ("class", "b")], &none, "`class` is given twice"),
            (&[("threshold", "1.5")], &none, "`threshold`"),
            (&[("threshold", "NaN")], &none, "`threshold`"),
            (&[("name", &long)], &none, "`name` is too long"),
            (&[(&long, "")], &none, "unknown parameter `\u{fc}\u{fc}"),
            (&[("raw", "true")], &png, "`raw` is not a picture"),
            (&[("mask", "true"), ("overlay", "true")], &png, "one picture at a time"),
        ] {
            let refused = wanted(pairs, headers).unwrap_err();
            assert!(refused.message.contains(message), "{refused:?}");
            assert_eq!((refused.status.as_u16(), refused.kind.as_ref()), (400, "bad_request"));
        }
    }
}
