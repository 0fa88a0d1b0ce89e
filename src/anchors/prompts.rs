//! Prompt ensembles: files of states and templates.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use toml::Spanned;

use super::AnchorError;
use crate::files;
use crate::lines::without_mark;

/// The anchor that a sentence belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Polarity {
    /// The part is good.
    Normal,
    /// The part is damaged.
    Abnormal,
}

/// The kind of pictures in a data set; AA-CLIP's smoothing depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Domain {
    #[default]
    /// Manufactured parts and surfaces.
    Industrial,
    /// Medical pictures.
    Medical,
}

impl Domain {
    /// The name on the command line, in prompt files and in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Industrial => "industrial",
            Self::Medical => "medical",
        }
    }
}

/// The class text that names nothing in particular.
pub const ANYTHING: &str = "object";

/// A class, as described in prompts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassName {
    /// The text inserted into the states.
    pub text: String,
    /// The domain of the data set with this class, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<Domain>,
}

impl ClassName {
    /// A text of an unknown domain.
    pub fn plain(text: &str) -> Self {
        Self { text: text.to_owned(), domain: None }
    }
}

/// A prompt ensemble. A sentence is a class inserted into a state, inserted into a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PromptSet {
    /// Its name.
    pub name: String,
    /// The purpose, in one line.
    pub description: String,
    /// The source of its lists.
    pub source: String,
    /// Templates, each with one `{}`. One that is listed twice has twice the weight.
    pub templates: Vec<String>,
    /// States of a good part, each with one `{}`.
    pub normal: Vec<String>,
    /// States of a damaged part, each with one `{}`.
    pub abnormal: Vec<String>,
    /// Descriptions of the classes of known data sets.
    pub datasets: BTreeMap<String, Dataset>,
}

/// An ensemble's description of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    /// The kind of its pictures.
    pub domain: Domain,
    /// Descriptions by class key.
    pub classes: BTreeMap<String, String>,
}

/// The built-in ensembles and their files.
const BUILT_IN: &[(&str, &str)] = &[
    ("clip-ad", include_str!("../../prompts/clip-ad.toml")),
    ("clip-ad-medical", include_str!("../../prompts/clip-ad-medical.toml")),
    ("aa-clip", include_str!("../../prompts/aa-clip.toml")),
    ("winclip", include_str!("../../prompts/winclip.toml")),
];

/// The only version of the file format.
const VERSION: i64 = 1;

/// Prompt files are written by hand; a larger file is a wrong one.
const LARGEST_FILE: u64 = 1 << 20;

impl PromptSet {
    /// The names of the built-in ensembles.
    pub fn builtin_names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// Finds an ensemble by its built-in name, else by its path.
    ///
    /// # Errors
    /// There is no such name or file, or the file is invalid.
    pub fn load(spec: &str) -> Result<Self, AnchorError> {
        if let Some((name, text)) = BUILT_IN.iter().find(|(name, _)| *name == spec) {
            return parse(Path::new(&format!("{name}.toml")), text);
        }
        let path = PathBuf::from(spec);
        let io = |source| AnchorError::Io { path: path.clone(), source };
        match std::fs::metadata(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(AnchorError::UnknownPrompts {
                name: spec.to_owned(),
                known: Self::builtin_names().collect::<Vec<_>>().join(", "),
            }),
            Err(e) => Err(io(e)),
            Ok(about) if about.len() > LARGEST_FILE => Err(AnchorError::Prompts {
                path,
                line: 1,
                problem: format!("the file has {} bytes: it is too large for a prompt file", about.len()),
            }),
            Ok(_) => {
                let bytes = std::fs::read(&path).map_err(io)?;
                let text = std::str::from_utf8(without_mark(&bytes)).map_err(|e| AnchorError::Prompts {
                    path: path.clone(),
                    line: 1 + bytes[..e.valid_up_to()].iter().filter(|&&b| b == b'\n').count(),
                    problem: "is not UTF-8 text".to_owned(),
                })?;
                parse(&path, text)
            }
        }
    }

    /// The sentences for a class; templates vary fastest.
    pub fn sentences(&self, polarity: Polarity, class: &str) -> Vec<String> {
        let states = match polarity {
            Polarity::Normal => &self.normal,
            Polarity::Abnormal => &self.abnormal,
        };
        states
            .iter()
            .map(|state| state.replacen("{}", class, 1))
            .flat_map(|state| self.templates.iter().map(move |t| t.replacen("{}", &state, 1)))
            .collect()
    }

    /// The prompts' text for a class: `dataset:class`, or a class of the given data set, becomes its
    /// description (AA-CLIP's "real name"); any other text is unchanged. Names of data sets ignore case,
    /// names of classes do not. An ensemble without descriptions uses AA-CLIP's.
    ///
    /// # Errors
    /// The data set or class has no description.
    pub fn describe(&self, class: &str, dataset: Option<&str>) -> Result<ClassName, AnchorError> {
        if self.datasets.is_empty() {
            let described = Self::load("aa-clip")?;
            return if described.datasets.is_empty() {
                Ok(ClassName { text: class.to_owned(), domain: None })
            } else {
                described.describe(class, dataset)
            };
        }
        let (dataset, class) = match (dataset, class.split_once(':')) {
            (Some(dataset), _) => (dataset, class),
            (None, Some((dataset, class))) if self.dataset(dataset).is_some() => (dataset, class),
            (None, _) => return Ok(ClassName { text: class.to_owned(), domain: None }),
        };
        let keys = |m: &mut dyn Iterator<Item = &String>| m.cloned().collect::<Vec<_>>().join(", ");
        let Some(known) = self.dataset(dataset) else {
            return Err(AnchorError::UnknownDataset {
                prompts: self.name.clone(),
                dataset: dataset.to_owned(),
                known: keys(&mut self.datasets.keys()),
            });
        };
        match known.classes.get(class) {
            // The reference does not describe a class of this name, in any data set.
            None if class == ANYTHING => Ok(ClassName { text: class.to_owned(), domain: Some(known.domain) }),
            Some(text) => Ok(ClassName { text: text.clone(), domain: Some(known.domain) }),
            None => Err(AnchorError::UnknownClass {
                dataset: dataset.to_owned(),
                class: class.to_owned(),
                known: keys(&mut known.classes.keys()),
            }),
        }
    }

    /// The data set that describes every one of `classes`, if there is one. An ensemble without descriptions
    /// uses AA-CLIP's.
    pub fn dataset_of(&self, classes: &[&str]) -> Option<String> {
        if self.datasets.is_empty() {
            let described = Self::load("aa-clip").ok()?;
            return if described.datasets.is_empty() { None } else { described.dataset_of(classes) };
        }
        let names_all =
            |d: &Dataset| !classes.is_empty() && classes.iter().all(|c| d.classes.contains_key(*c));
        self.datasets.iter().find(|(_, d)| names_all(d)).map(|(name, _)| name.clone())
    }

    fn dataset(&self, name: &str) -> Option<&Dataset> {
        self.datasets.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, d)| d)
    }

    /// The ensemble as a prompt file.
    pub fn to_toml(&self) -> String {
        let list = |name: &str, items: &[String]| {
            let lines: String = items.iter().map(|i| format!("    {},\n", quoted(i))).collect();
            format!("{name} = [\n{lines}]\n")
        };
        let mut text = format!("version = {VERSION}\n");
        for (key, value) in
            [("name", &self.name), ("description", &self.description), ("source", &self.source)]
        {
            text += &format!("{key} = {}\n", quoted(value));
        }
        text += &format!("\n{}\n[states]\n", list("templates", &self.templates));
        text += &(list("normal", &self.normal) + &list("abnormal", &self.abnormal));
        for (name, dataset) in &self.datasets {
            let domain = dataset.domain.name();
            let name = quoted(name);
            text += &format!("\n[datasets.{name}]\ndomain = \"{domain}\"\n\n[datasets.{name}.classes]\n");
            for (key, class) in &dataset.classes {
                text += &format!("{} = {}\n", quoted(key), quoted(class));
            }
        }
        text
    }

    /// A hash of everything that sentences are made from, for cache keys.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for list in [&self.templates, &self.normal, &self.abnormal] {
            hash.update((list.len() as u64).to_le_bytes());
            for text in list {
                hash.update((text.len() as u64).to_le_bytes());
                hash.update(text.as_bytes());
            }
        }
        files::hex(&hash.finalize())
    }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// The file, with source positions for the checks after parsing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: Spanned<i64>,
    name: Spanned<String>,
    description: String,
    source: String,
    templates: Spanned<Vec<Spanned<String>>>,
    states: States,
    #[serde(default)]
    datasets: BTreeMap<String, Dataset>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct States {
    normal: Spanned<Vec<Spanned<String>>>,
    abnormal: Spanned<Vec<Spanned<String>>>,
}

fn parse(path: &Path, text: &str) -> Result<PromptSet, AnchorError> {
    let at = |offset: usize, problem: String| AnchorError::Prompts {
        path: path.to_owned(),
        line: 1 + text.bytes().take(offset).filter(|&b| b == b'\n').count(),
        problem,
    };
    let file: File = toml::from_str(text)
        .map_err(|e| at(e.span().map_or(0, |s| s.start), e.message().replace('\n', " ")))?;
    if *file.version.get_ref() != VERSION {
        let problem = format!("unknown version {}: expected version {VERSION}", file.version.get_ref());
        return Err(at(file.version.span().start, problem));
    }
    if file.name.get_ref().trim().is_empty() {
        return Err(at(file.name.span().start, "the name is empty".to_owned()));
    }
    let check = |list: Spanned<Vec<Spanned<String>>>, what: &str, repeats: bool| {
        if list.get_ref().is_empty() {
            return Err(at(list.span().start, format!("the list of {what} is empty")));
        }
        let mut texts: Vec<String> = Vec::new();
        for item in list.into_inner() {
            let start = item.span().start;
            let item = item.into_inner();
            let places = item.matches("{}").count();
            if places != 1 {
                return Err(at(
                    start,
                    format!("`{item}` has {places} places `{{}}`; each of the {what} needs exactly one"),
                ));
            }
            if !repeats && texts.contains(&item) {
                return Err(at(start, format!("`{item}` appears twice in the {what}")));
            }
            texts.push(item);
        }
        Ok(texts)
    };
    Ok(PromptSet {
        name: file.name.into_inner(),
        description: file.description,
        source: file.source,
        templates: check(file.templates, "templates", true)?,
        normal: check(file.states.normal, "normal states", false)?,
        abnormal: check(file.states.abnormal, "abnormal states", false)?,
        datasets: file.datasets,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_ensembles_have_the_published_sizes() {
        let sizes =
            [("clip-ad", 198, 220), ("clip-ad-medical", 80, 90), ("aa-clip", 6, 10), ("winclip", 147, 84)];
        assert!(PromptSet::builtin_names().eq(sizes.map(|(name, ..)| name)));
        for (name, normal, abnormal) in sizes {
            let set = PromptSet::load(name).unwrap();
            assert_eq!(set.name, name);
            assert_eq!(set.sentences(Polarity::Normal, "x").len(), normal);
            assert_eq!(set.sentences(Polarity::Abnormal, "x").len(), abnormal);
            assert_eq!(parse(Path::new("again.toml"), &set.to_toml()).unwrap(), set);
        }
    }

    #[test]
    fn a_class_with_braces_is_put_in_as_it_is() {
        let set = PromptSet::load("aa-clip").unwrap();
        assert_eq!(set.sentences(Polarity::Abnormal, "{} x")[0], "a damaged {} x.");
    }

    #[test]
    fn real_names_of_classes() {
        let set = PromptSet::load("aa-clip").unwrap();
        assert_eq!(set.datasets.values().map(|d| d.classes.len()).sum::<usize>(), 15 + 12 + 6 + 3 + 7);
        let bottle = set.describe("MVTec:bottle", None).unwrap();
        assert_eq!((bottle.text.as_str(), bottle.domain), ("dark bottle", Some(Domain::Industrial)));
        assert_eq!(set.describe("bottle", Some("mvtec")).unwrap(), bottle);
        assert_eq!(set.describe("Brain", Some("brain")).unwrap().domain, Some(Domain::Medical));
        for plain in ["bottle", "my:part", "metal_nut"] {
            assert_eq!(set.describe(plain, None).unwrap(), ClassName { text: plain.into(), domain: None });
        }
        assert!(set.describe("x", Some("nosuch")).unwrap_err().to_string().contains("MVTec"));
        assert!(set.describe("mvtec:sock", None).unwrap_err().to_string().contains("zipper"));
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        let good = include_str!("../../prompts/clip-ad-medical.toml");
        let line = |needle: &str| 1 + good.lines().position(|l| l.contains(needle)).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.toml");
        let error = |text: &[u8]| {
            std::fs::write(&path, text).unwrap();
            PromptSet::load(path.to_str().unwrap()).unwrap_err().to_string()
        };
        for (from, to, at, expected) in [
            ("version = 1", "version = 2", "version = 1", "version 2"),
            ("version = 1", "version = \"1\"", "version = 1", "invalid type"),
            ("normal {}\"", "normal\"", "\"normal {}", "0 places"),
            ("normal {}\"", "{} and {}\"", "\"normal {}", "2 places"),
            ("\"normal {}\"", "\"healthy {}\"", "\"normal {}", "twice"),
            ("\"normal {}\"", "7", "\"normal {}", "invalid type"),
            ("description =", "descriptoin =", "description =", "descriptoin"),
            ("name = \"clip-ad-medical\"", "name = \" \"", "name =", "empty"),
        ] {
            let message = error(good.replacen(from, to, 1).as_bytes());
            assert!(message.contains(&format!("p.toml:{}: ", line(at))), "{to}: {message}");
            assert!(message.contains(expected) && !message.contains('\n'), "{to}: {message}");
        }
        assert!(error(b"").contains("missing field"));
        assert!(error(b"version = 1\nname = \xff").contains("p.toml:2: is not UTF-8"));
        assert!(error(&[b' '; 2 << 20]).contains("too large"));
        assert!(error(b"version=1\nname='x'\ndescription=''\nsource=''\ntemplates=[]\n[states]\nnormal=['{}']\nabnormal=['{}']")
            .contains(":5: the list of templates is empty"));
        // Published ensembles repeat templates.
        let template = "\"a photo of the {}.\",";
        let repeated = good.replacen("templates = [", &format!("templates = [{template}{template}"), 1);
        let read = parse(Path::new("p.toml"), &repeated).unwrap();
        assert_eq!(read.templates[0], read.templates[1]);
        let unknown = PromptSet::load("no-such").unwrap_err().to_string();
        assert!(unknown.contains("clip-ad, clip-ad-medical, aa-clip"), "{unknown}");
        assert!(matches!(PromptSet::load(dir.path().to_str().unwrap()), Err(AnchorError::Io { .. })));
    }
}
