//! The outputs of `aaclip detect`: stdout, and the journal of an output folder.

use std::io::StdoutLock;
use std::path::{Path, PathBuf};

use aaclip::batch::{BatchError, FileState, Finished, Input, Listing, Manifest, RunResults};
use aaclip::files::{self, Stamp, is_hopeless};
use aaclip::output::{Artefact, ArtefactNames, Outcome, Record, RecordWriter};
use aaclip::{Error, PictureName, Provenance, Result, Scorer, Source, image};

use crate::cli::args::detect::DetectArgs;

/// The output folder of a run.
pub struct Place {
    pub folder: PathBuf,
    artefacts: Vec<Artefact>,
    /// The base folder of relative paths in its journal, if it is not the current folder.
    elsewhere: Option<PathBuf>,
}

impl Place {
    /// The output folder in the arguments, if any, after checking that it can be written to.
    ///
    /// # Errors
    /// It cannot be written to.
    pub fn open(args: &DetectArgs) -> Result<Option<Self>> {
        let Some(folder) = args.output_folder() else { return Ok(None) };
        if folder.exists() && !folder.is_dir() {
            let path = folder.display();
            return Err(Error::Setting(format!("{path} is not a folder: name another one with --out")));
        }
        files::try_folder(&folder).map_err(|e| Error::io("write to the output folder", &folder, e))?;
        Ok(Some(Self { folder, artefacts: args.artefacts(), elsewhere: None }))
    }

    /// Opens the journal of a run over many pictures.
    ///
    /// # Errors
    /// The folder has results of other settings, or another process writes to it.
    pub fn journal(&mut self, args: &DetectArgs, mut settings: Provenance) -> Result<(RunResults, Finished)> {
        let names: Vec<&str> = self.artefacts.iter().map(|a| a.name()).collect();
        settings.set("save", names.join(","));
        settings.set("scale", args.scale.name());
        settings.set("hash", args.many.hash);
        let shard = args.many.shard;
        // Locked before anything is removed, because another run may use the folder.
        let path = self.folder.join(RunResults::file_name(shard));
        let mut journal = RunResults::lock(&path)?;
        if args.many.restart {
            let manifest = self.folder.join(Manifest::file_name(shard));
            match std::fs::remove_file(&manifest) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", manifest, e));
                }
                _ => journal.clear()?,
            }
        }
        let manifest = Manifest::new(settings);
        let has_results = !journal.is_empty()?;
        let started_in = manifest.claim(&self.folder, shard, has_results).inspect_err(|_| {
            if !has_results {
                // It may have been created just now.
                let _ = std::fs::remove_file(&path);
            }
        })?;
        let read = RunResults::read(journal, args.many.hash, &started_in)?;
        self.elsewhere = (started_in != manifest.started_in).then_some(manifest.started_in);
        Ok(read)
    }

    /// Checks that no picture of the run has the same name as another picture with a result here.
    ///
    /// # Errors
    /// Such a picture exists; the first is named.
    pub fn check(&self, listing: &Listing, finished: &Finished) -> Result<()> {
        if finished.is_empty() {
            return Ok(());
        }
        for input in listing.iter().filter_map(Result::ok) {
            if let Some(there) = finished.namesake(&input.name(), &input.path) {
                let here = input.path;
                return Err(BatchError::OtherPicture { folder: self.folder.clone(), there, here }.into());
            }
        }
        Ok(())
    }

    /// Whether all wanted files of a picture exist.
    fn has_files(&self, input: &Input) -> bool {
        let names = self.names(input);
        self.artefacts.iter().all(|&wanted| names.path(wanted).is_file())
    }

    fn names(&self, input: &Input) -> ArtefactNames {
        ArtefactNames { stem: self.folder.join(input.inside()) }
    }

    /// A picture's path as stored in the journal.
    fn kept_path(&self, path: &str) -> String {
        match &self.elsewhere {
            Some(here) if Path::new(path).is_relative() => here.join(path).to_string_lossy().into_owned(),
            _ => path.to_owned(),
        }
    }

    /// The path of a file in this folder as printed on stdout.
    fn shown(&self, file: &str) -> String {
        self.folder.join(file).to_string_lossy().into_owned()
    }

    /// The path of a file as stored in the journal, so that the folder can be moved.
    fn kept(&self, file: &str) -> String {
        let inside = Path::new(file).strip_prefix(&self.folder);
        let inside = inside.map_or(file.into(), Path::to_string_lossy);
        // On Windows a backslash separates folders; elsewhere it is part of a name.
        if cfg!(windows) { inside.replace('\\', "/") } else { inside.into_owned() }
    }
}

/// Scores one picture, unless `finished` already has its result.
pub struct Looker<'a> {
    pub scorer: &'a Scorer,
    pub place: Option<&'a Place>,
    pub finished: Option<&'a Finished>,
}

/// The result for one picture.
pub struct Looked {
    pub record: Record,
    /// Whether it is from an earlier run.
    pub old: bool,
    /// An error that will also occur for every other picture.
    pub hopeless: Option<Error>,
    /// Whether 16-bit values were clipped.
    pub clipped: bool,
}

impl Looker<'_> {
    pub fn look(&self, input: &Input) -> Looked {
        let name = PictureName { path: input.path.to_string_lossy().into_owned(), name: input.name() };
        if let Some(mut record) = self.finished.and_then(|finished| self.earlier(finished, input, &name)) {
            // The run may have been started in another folder before.
            record.input.path = name.path;
            return Looked { record, old: true, hopeless: None, clipped: false };
        }
        match self.fresh(input, &name) {
            Ok((record, clipped)) => Looked { record, old: false, hopeless: None, clipped },
            Err(e) => {
                let record = self.scorer.failed(&e, name, Stamp::read(&input.path));
                let hopeless = matches!(&e, Error::Io { source, .. } if is_hopeless(source)).then_some(e);
                Looked { record, old: false, hopeless, clipped: false }
            }
        }
    }

    fn earlier(&self, finished: &Finished, input: &Input, name: &PictureName) -> Option<Record> {
        // Deleted files are written again.
        if !finished.has(&name.name) || !self.place.is_none_or(|place| place.has_files(input)) {
            return None;
        }
        let settings = self.scorer.settings();
        if settings.hash {
            let file = image::read(&input.path, &settings.decoding.limits).ok()?;
            return finished.get(&name.name, FileState::Hash(file.stamp.bytes, &files::sha256(&file.bytes)));
        }
        finished.get(&name.name, FileState::Stamp(Stamp::read(&input.path)?))
    }

    fn fresh(&self, input: &Input, name: &PictureName) -> Result<(Record, bool)> {
        let look = self.scorer.look(Source::File(&input.path), &name.path)?;
        let files = match self.place {
            Some(place) => self.scorer.save(&look, &place.artefacts, &place.names(input))?,
            None => Default::default(),
        };
        let clipped = look.picture.was_clipped();
        Ok((self.scorer.record(look, name.clone(), files), clipped))
    }
}

/// The outputs of results.
pub struct Results<'a> {
    pub stdout: RecordWriter<StdoutLock<'static>>,
    pub place: Option<&'a Place>,
    /// The journal, and the results it had at the start.
    pub journal: Option<(RunResults, &'a Finished)>,
}

impl Results<'_> {
    /// Writes one result: to the journal if it is new, then to stdout.
    ///
    /// # Errors
    /// The journal or stdout cannot be written.
    pub fn write(&mut self, looked: &Looked) -> Result<()> {
        let mut shown = looked.record.clone();
        if let (Some(place), Some((journal, before))) = (self.place, &mut self.journal) {
            let rename = |record: &mut Record, name: &dyn Fn(&str) -> String| {
                record.files_mut().into_iter().flatten().for_each(|(_, file)| *file = name(file));
            };
            if looked.old {
                rename(&mut shown, &|file| place.shown(file));
            } else {
                let mut kept = looked.record.clone();
                rename(&mut kept, &|file| place.kept(file));
                kept.input.path = place.kept_path(&kept.input.path);
                journal.append(&kept, before)?;
            }
        }
        self.stdout.write(&shown).map_err(|e| Error::io("write to", "stdout", e))
    }

    /// Writes the end of the output.
    ///
    /// # Errors
    /// Errors of [`Results::write`].
    pub fn finish(self) -> Result<()> {
        self.stdout.finish().map_err(|e| Error::io("write to", "stdout", e))?;
        self.journal.map_or(Ok(()), |(journal, _)| journal.finish())
    }
}

/// The reason why a picture has no score, with its path.
pub fn failure(record: &Record) -> Option<String> {
    match &record.outcome {
        Outcome::Scored(_) => None,
        Outcome::Failed(failure) if failure.message.contains(&record.input.path) => {
            Some(failure.message.clone())
        }
        Outcome::Failed(failure) => Some(format!("{}: {}", record.input.path, failure.message)),
    }
}
