// @ts-check
// All words of the page, in one table. A new language is one more column: a test holds all to the same keys and places.

import { signal } from "../vendor/signals-core.js";

/** @type {{ [code: string]: string }} */
export const LANGUAGES = { en: "English", de: "Deutsch" };

export const language = signal("en");

/**
 * A sentence with {places}, or, where it depends on the number n, one for 1 and one for the others.
 * @typedef {string | { one: string, other: string }} Words
 */
/** @type {{ [key: string]: { en: Words, de: Words } }} */
export const TABLE = {
  title: { en: "Studio – GlyphNet", de: "Studio – GlyphNet" },
  steps: { en: "Steps", de: "Schritte" },
  step_collect: { en: "Collect", de: "Sammeln" },
  step_label: { en: "Label", de: "Benennen" },
  step_check: { en: "Check", de: "Prüfen" },
  step_train: { en: "Train", de: "Trainieren" },
  step_judge: { en: "Judge", de: "Beurteilen" },
  step_try: { en: "Try & give away", de: "Testen & weitergeben" },
  language: { en: "Language", de: "Sprache" },
  undo: { en: "Undo", de: "Rückgängig" },
  undo_what: { en: "Undo: {what}", de: "Rückgängig: {what}" },
  undone: { en: "Undone.", de: "Rückgängig gemacht." },
  redo: { en: "Redo", de: "Wiederholen" },
  redo_what: { en: "Redo: {what}", de: "Wiederholen: {what}" },
  redone: { en: "Redone.", de: "Wiederholt." },
  close: { en: "Close", de: "Schließen" },
  cancel: { en: "Cancel", de: "Abbrechen" },
  saved: { en: "Saved.", de: "Gespeichert." },
  all: { en: "all", de: "alle" },
  connection_lost: {
    en:
      "The studio does not answer. Nothing is lost: start it again with glyphnet studio, and open the address that it prints.",
    de:
      "Das Studio antwortet nicht. Nichts ist verloren: Starten Sie es mit glyphnet studio neu und öffnen Sie die Adresse, die es nennt.",
  },
  save_zip: { en: "Save pictures", de: "Bilder sichern" },
  save_zip_hint: {
    en: "All pictures as a zip of class folders, which glyphnet train reads.",
    de: "Alle Bilder als Zip mit einem Ordner je Klasse, wie glyphnet train sie liest.",
  },
  tray: { en: "Unlabelled", de: "Ohne Namen" },
  classes: { en: "Classes", de: "Klassen" },
  new_class: { en: "New class", de: "Neue Klasse" },
  add_class: { en: "Add the class", de: "Klasse anlegen" },
  class_made: { en: "The class “{name}” is there.", de: "Die Klasse „{name}“ ist angelegt." },
  class_renamed: { en: "The class is now called “{name}”.", de: "Die Klasse heißt jetzt „{name}“." },
  class_deleted: {
    en: "“{name}” is deleted; undo brings it back.",
    de: "„{name}“ ist gelöscht; Rückgängig holt sie zurück.",
  },
  name_empty: { en: "A class needs a name.", de: "Eine Klasse braucht einen Namen." },
  name_taken: { en: "There is a class “{name}” already.", de: "Es gibt schon eine Klasse „{name}“." },
  name_long: { en: "The name is too long: 255 bytes at most.", de: "Der Name ist zu lang: höchstens 255 Bytes." },
  name_reserved: {
    en: "“{name}” has a meaning of its own in a folder of pictures. Choose another name.",
    de: "„{name}“ hat in einem Bilderordner eine eigene Bedeutung. Wählen Sie einen anderen Namen.",
  },
  name_characters: {
    en: "“{name}” is the name of a folder too: no slashes, no control characters.",
    de: "„{name}“ ist auch der Name eines Ordners: keine Schrägstriche, keine Steuerzeichen.",
  },
  rename: { en: "Rename", de: "Umbenennen" },
  new_name: { en: "New name", de: "Neuer Name" },
  delete_class: { en: "Delete class", de: "Klasse löschen" },
  pictures: { en: { one: "{n} picture", other: "{n} pictures" }, de: { one: "{n} Bild", other: "{n} Bilder" } },
  pictures_word: { en: "Pictures", de: "Bilder" },
  pictures_of: { en: "Pictures of {place}", de: "Bilder von {place}" },
  picture_number: { en: "Picture {n} of {of}{group}", de: "Bild {n} von {of}{group}" },
  picture_gone: {
    en: "The picture {name} is no longer there: it was moved or deleted.",
    de: "Das Bild {name} ist nicht mehr da: Es wurde verschoben oder gelöscht.",
  },
  empty_class: {
    en: "No pictures yet. Draw, drop, paste or record some.",
    de: "Noch keine Bilder. Zeichnen, ablegen, einfügen oder aufnehmen.",
  },
  empty_tray: {
    en: "Pictures without a label wait here. Drop some, then name them in step 2.",
    de: "Hier warten Bilder ohne Namen. Legen Sie welche ab und benennen Sie sie in Schritt 2.",
  },
  welcome: { en: "Teach a network what you see", de: "Bringen Sie einem Netz bei, was Sie sehen" },
  welcome_how: {
    en:
      "Make two classes or more on the left, and give each some pictures: draw them, drop files, folders or zips anywhere, paste, or use the camera. Nothing leaves this machine.",
    de:
      "Legen Sie links zwei oder mehr Klassen an und geben Sie jeder einige Bilder: zeichnen, Dateien, Ordner oder Zips irgendwo ablegen, einfügen oder die Kamera benutzen. Nichts verlässt dieses Gerät.",
  },
  source: { en: "Where pictures come from", de: "Woher Bilder kommen" },
  source_draw: { en: "Draw", de: "Zeichnen" },
  source_files: { en: "Files", de: "Dateien" },
  source_camera: { en: "Camera", de: "Kamera" },
  source_known: { en: "Known sets", de: "Bekannte" },
  draw_here: { en: "Draw here", de: "Hier zeichnen" },
  draw_hint: {
    en: "Enter adds the drawing, Escape clears the pad.",
    de: "Enter fügt die Zeichnung hinzu, Escape leert das Blatt.",
  },
  pad_label: { en: "Drawing pad for {name}", de: "Zeichenblatt für {name}" },
  add_to: { en: "Add to {name}", de: "Zu {name}" },
  clear: { en: "Clear", de: "Leeren" },
  no_drawing: {
    en: "No drawing was found on the pad. Draw larger, with whole strokes.",
    de: "Auf dem Blatt ist keine Zeichnung zu erkennen. Zeichnen Sie größer, mit ganzen Strichen.",
  },
  choose_files: { en: "Files or zips…", de: "Dateien oder Zips…" },
  choose_folder: { en: "Folder…", de: "Ordner…" },
  files_hint: {
    en: "Drop pictures, folders or zips anywhere on this page, or paste a picture.",
    de: "Legen Sie Bilder, Ordner oder Zips irgendwo auf dieser Seite ab, oder fügen Sie ein Bild ein.",
  },
  files_more: {
    en:
      "A folder’s name becomes the class of its pictures; single pictures go where you are. Pictures that are there already are left out.",
    de:
      "Der Name eines Ordners wird die Klasse seiner Bilder; einzelne Bilder kommen dorthin, wo Sie gerade sind. Was schon da ist, bleibt weg.",
  },
  camera: { en: "What the camera sees", de: "Was die Kamera sieht" },
  camera_none: { en: "this browser gives no camera to this page", de: "der Browser gibt dieser Seite keine Kamera" },
  camera_failed: {
    en: "The camera does not start: {why}. Allow it in the browser, and close other programs that use it.",
    de:
      "Die Kamera startet nicht: {why}. Erlauben Sie sie im Browser, und schließen Sie andere Programme, die sie benutzen.",
  },
  hold_to_record: { en: "Hold to record", de: "Zum Aufnehmen halten" },
  recorded: {
    en: { one: "{n} picture recorded", other: "{n} pictures recorded" },
    de: { one: "{n} Bild aufgenommen", other: "{n} Bilder aufgenommen" },
  },
  known_set: { en: "Set", de: "Sammlung" },
  known_none: { en: "No known set is on this machine.", de: "Auf diesem Gerät ist keine bekannte Sammlung." },
  known_hint: { en: "{n} pictures of {k} classes are at hand.", de: "{n} Bilder in {k} Klassen sind da." },
  known_tray: { en: "without their labels", de: "ohne ihre Namen" },
  known_started: { en: "The pictures are being added.", de: "Die Bilder werden hinzugefügt." },
  per_class: { en: "Per class", de: "Je Klasse" },
  take: { en: "Add them", de: "Hinzufügen" },
  group: { en: "Group", de: "Gruppe" },
  group_hint: { en: "person, sheet, day…", de: "Person, Blatt, Tag…" },
  group_next: {
    en: "Group of what is added (stays on one side when testing)",
    de: "Gruppe der neuen Bilder (bleibt beim Prüfen zusammen)",
  },
  group_set: { en: "Set group", de: "Gruppe setzen" },
  added: {
    en: { one: "{n} picture added.", other: "{n} pictures added." },
    de: { one: "{n} Bild hinzugefügt.", other: "{n} Bilder hinzugefügt." },
  },
  same: {
    en: { one: "{n} was there already.", other: "{n} were there already." },
    de: { one: "{n} war schon da.", other: "{n} waren schon da." },
  },
  refused: {
    en: { one: "{n} could not be read: {which}", other: "{n} could not be read: {which}" },
    de: { one: "{n} war nicht lesbar: {which}", other: "{n} waren nicht lesbar: {which}" },
  },
  selection: { en: "Selected pictures", de: "Ausgewählte Bilder" },
  selected: { en: "{n} selected", de: "{n} ausgewählt" },
  select_none: { en: "Select none", de: "Auswahl aufheben" },
  move_to: { en: "Move to", de: "Verschieben nach" },
  moved: {
    en: { one: "{n} picture moved to {place}.", other: "{n} pictures moved to {place}." },
    de: { one: "{n} Bild nach {place} verschoben.", other: "{n} Bilder nach {place} verschoben." },
  },
  delete: { en: "Delete", de: "Löschen" },
  deleted: {
    en: { one: "{n} picture deleted; undo brings it back.", other: "{n} pictures deleted; undo brings them back." },
    de: {
      one: "{n} Bild gelöscht; Rückgängig holt es zurück.",
      other: "{n} Bilder gelöscht; Rückgängig holt sie zurück.",
    },
  },
  mistake_sentence: {
    en: "It lies in “{label}”; the model says “{answer}”, {sure}.",
    de: "Es liegt in „{label}“; das Modell sagt „{answer}“, {sure}.",
  },
  mistake_open: {
    en: "{label} taken for {answer}: open the picture",
    de: "{label} für {answer} gehalten: Bild öffnen",
  },
  it_is: { en: "It is {name}", de: "Es ist {name}" },
  label_is_right: { en: "{name} is right", de: "{name} stimmt" },
  label_no_classes: { en: "Make classes first, in step 1.", de: "Legen Sie zuerst in Schritt 1 Klassen an." },
  label_empty: {
    en: "No picture waits for a label. Drop some into the tray in step 1.",
    de: "Kein Bild wartet auf einen Namen. Legen Sie in Schritt 1 welche in die Ablage.",
  },
  label_thinking: { en: "Looking for the picture that teaches most…", de: "Das lehrreichste Bild wird gesucht…" },
  which_class: { en: "Which class is this?", de: "Welche Klasse ist das?" },
  suggested: { en: "The model says", de: "Das Modell sagt" },
  no_suggestion: { en: "No model suggests a class yet.", de: "Noch schlägt kein Modell eine Klasse vor." },
  accept: { en: "It is right", de: "Stimmt" },
  skip: { en: "Skip", de: "Überspringen" },
  space: { en: "Space", de: "Leertaste" },
  skipped: { en: "Skipped.", de: "Übersprungen." },
  labelled: { en: "{name}.", de: "{name}." },
  label_left: {
    en: { one: "{n} picture is left.", other: "{n} pictures are left." },
    de: { one: "{n} Bild ist übrig.", other: "{n} Bilder sind übrig." },
  },
  label_decided: { en: "{n} decided.", de: "{n} entschieden." },
  label_rate: { en: "{n} a minute.", de: "{n} in der Minute." },
  label_random: {
    en: "{labels} labels so far; chosen at random, about {equal} would be needed for a model as good.",
    de: "{labels} Namen bisher; zufällig gewählt wären für ein ebenso gutes Modell etwa {equal} nötig.",
  },
  retrains: {
    en: "Train again in the background when it is worth it",
    de: "Im Hintergrund neu trainieren, wenn es sich lohnt",
  },
  retraining: {
    en: "A better model is being trained in the background.",
    de: "Im Hintergrund wird ein besseres Modell trainiert.",
  },
  export_pt2: { en: "PyTorch", de: "PyTorch" },
  export_pt2_how: {
    en: "A program for torch.export.load, without GlyphNet.",
    de: "Ein Programm für torch.export.load, ohne GlyphNet.",
  },
  why_no_drawing: { en: "Nothing is drawn.", de: "Es ist nichts gezeichnet." },
  why_unlike_training: { en: "Unlike the training pictures.", de: "Anders als die Trainingsbilder." },
  why_low_confidence: { en: "Not sure.", de: "Unsicher." },
  label_model: {
    en: "Suggestions of {name}, the most informative picture first.",
    de: "Vorschläge von {name}, das lehrreichste Bild zuerst.",
  },
  label_no_model: {
    en: "Train once, and a model suggests the class and chooses the picture.",
    de: "Trainieren Sie einmal, dann schlägt ein Modell die Klasse vor und wählt das Bild.",
  },
  check_how: {
    en: "Duplicates, blank pictures, uneven classes, and labels that look wrong.",
    de: "Doppelte, leere Bilder, ungleiche Klassen und Namen, die falsch aussehen.",
  },
  run_checks: { en: "Check now", de: "Jetzt prüfen" },
  findings: { en: { one: "{n} finding.", other: "{n} findings." }, de: { one: "{n} Fund.", other: "{n} Funde." } },
  open_picture: { en: "Open {name}", de: "{name} öffnen" },
  delete_picture: { en: "Delete {name}", de: "{name} löschen" },
  more: { en: "{n} more", de: "{n} weitere" },
  and_more: { en: "and {n} more", de: "und {n} weitere" },
  move_all: { en: "Move all as suggested", de: "Alle wie vorgeschlagen verschieben" },
  delete_all: {
    en: { one: "Delete it", other: "Delete these {n}" },
    de: { one: "Löschen", other: "Diese {n} löschen" },
  },
  finding_duplicates: {
    en: "{n} pictures show the same as another one of their class.",
    de: "{n} Bilder zeigen dasselbe wie ein anderes ihrer Klasse.",
  },
  finding_conflicting: {
    en: "{n} pictures show the same and lie in different classes.",
    de: "{n} Bilder zeigen dasselbe und liegen in verschiedenen Klassen.",
  },
  finding_blank: { en: "{n} pictures show nothing.", de: "{n} Bilder zeigen nichts." },
  finding_imbalance: {
    en: "“{most}” has {high} pictures and “{least}” {low}: add some to the small one.",
    de: "„{most}“ hat {high} Bilder und „{least}“ {low}: Geben Sie der kleinen welche dazu.",
  },
  finding_few: {
    en: "“{name}” has {n} pictures: at least {wanted} make a judgement possible.",
    de: "„{name}“ hat {n} Bilder: Mit mindestens {wanted} wird ein Urteil möglich.",
  },
  finding_suspicious: {
    en: "{n} pictures look like another class.",
    de: "{n} Bilder sehen aus wie eine andere Klasse.",
  },
  finding_groups: {
    en: "{n} of {of} pictures have a group: give one to the others too, or to none.",
    de: "{n} von {of} Bildern haben eine Gruppe: Geben Sie auch den anderen eine, oder keinem.",
  },
  preset: { en: "Preset", de: "Vorgabe" },
  preset_fast: { en: "Fast", de: "Schnell" },
  preset_balanced: { en: "Balanced", de: "Ausgewogen" },
  preset_best: { en: "Best", de: "Beste" },
  preset_robust: { en: "Robust", de: "Robust" },
  about_fast: { en: "Seconds to a first model.", de: "In Sekunden zu einem ersten Modell." },
  about_balanced: { en: "Longer, and mostly better.", de: "Länger, und meistens besser." },
  about_best: { en: "As good as it gets; takes its time.", de: "So gut es geht; das dauert." },
  about_robust: {
    en: "For pictures that are noisy, shifted or badly lit.",
    de: "Für Bilder, die verrauscht, verschoben oder schlecht beleuchtet sind.",
  },
  seconds: { en: "Seconds", de: "Sekunden" },
  by_preset: { en: "by preset", de: "nach Vorgabe" },
  train: { en: "Train", de: "Trainieren" },
  train_needs: { en: "Two classes with pictures are needed.", de: "Zwei Klassen mit Bildern sind nötig." },
  preparing: { en: "Making the pictures alike…", de: "Die Bilder werden angeglichen…" },
  kind_ink: { en: "Read as drawings.", de: "Als Zeichnungen gelesen." },
  kind_photo: { en: "Read as photographs.", de: "Als Fotografien gelesen." },
  left_out: {
    en: { one: "{n} shows no drawing and is left out.", other: "{n} show no drawing and are left out." },
    de: { one: "{n} zeigt keine Zeichnung und bleibt weg.", other: "{n} zeigen keine Zeichnung und bleiben weg." },
  },
  classes_changed: {
    en: "The classes have changed since: start a new training.",
    de: "Die Klassen haben sich geändert: Beginnen Sie ein neues Training.",
  },
  no_model: {
    en: "{name} has left no model: it was stopped before its first epoch.",
    de: "{name} hat kein Modell hinterlassen: Es wurde vor der ersten Epoche angehalten.",
  },
  training_started: { en: "The training has started.", de: "Das Training hat begonnen." },
  stop: { en: "Stop", de: "Anhalten" },
  stopping: { en: "The training stops; it can be resumed.", de: "Das Training hält an; es kann fortgesetzt werden." },
  resume: { en: "Resume", de: "Fortsetzen" },
  runs: { en: "Trainings", de: "Trainings" },
  run: { en: "Training", de: "Training" },
  show: { en: "Show", de: "Zeigen" },
  show_run: { en: "Show {name}", de: "{name} zeigen" },
  time: { en: "Time", de: "Dauer" },
  status: { en: "Status", de: "Stand" },
  status_running: { en: "running", de: "läuft" },
  status_stopped: { en: "stopped", de: "angehalten" },
  status_done: { en: "done", de: "fertig" },
  status_failed: { en: "failed", de: "gescheitert" },
  speed: { en: "{n} images/s.", de: "{n} Bilder/s." },
  time_left: { en: "{time} left.", de: "Noch {time}." },
  loss: { en: "Loss", de: "Verlust" },
  accuracy: { en: "Accuracy", de: "Genauigkeit" },
  val_accuracy: {
    en: "right on pictures that it did not learn from.",
    de: "richtig bei Bildern, aus denen es nicht gelernt hat.",
  },
  accuracy_interval: {
    en: "{value} right (95 % interval {low} to {high}, n = {n})",
    de: "{value} richtig (95-%-Intervall {low} bis {high}, n = {n})",
  },
  interval: {
    en: "right (95 % interval {low} to {high}, n = {n})",
    de: "richtig (95-%-Intervall {low} bis {high}, n = {n})",
  },
  part_training: { en: "training", de: "Training" },
  part_validation: { en: "validation", de: "Validierung" },
  curve_label: { en: "{name} by epoch, training and validation", de: "{name} je Epoche, Training und Validierung" },
  epoch: { en: "epoch", de: "Epoche" },
  confusion: { en: "True class and answer", de: "Wahre Klasse und Antwort" },
  confusion_how: {
    en: "Rows: the true class. Columns: the answer.",
    de: "Zeilen: die wahre Klasse. Spalten: die Antwort.",
  },
  mistakes: { en: "Mistakes", de: "Fehler" },
  mistakes_val: { en: "Mistakes on validation pictures", de: "Fehler bei Validierungsbildern" },
  mistakes_how: {
    en: "Click a picture to look at it in its class, and to correct a wrong label.",
    de: "Klicken Sie ein Bild an, um es in seiner Klasse anzusehen und einen falschen Namen zu berichtigen.",
  },
  no_mistakes: {
    en: "None.",
    de: "Keine.",
  },
  filters: { en: "First filters", de: "Erste Filter" },
  filters_alt: { en: "The weights of the first layer", de: "Die Gewichte der ersten Schicht" },
  paired_better: {
    en:
      "{a} answers {only_a} pictures right that {b} gets wrong, and {b} {only_b}: {better} is better (paired test, p = {p}, n = {n}).",
    de:
      "{a} löst {only_a} Bilder, die {b} nicht löst, und {b} {only_b}: {better} ist besser (gepaarter Test, p = {p}, n = {n}).",
  },
  paired_even: {
    en:
      "{a} answers {only_a} pictures right that {b} gets wrong, and {b} {only_b}: no difference is shown (paired test, p = {p}, n = {n}).",
    de:
      "{a} löst {only_a} Bilder, die {b} nicht löst, und {b} {only_b}: Ein Unterschied ist nicht gezeigt (gepaarter Test, p = {p}, n = {n}).",
  },
  judge_none: { en: "Train first, in step 4.", de: "Trainieren Sie zuerst, in Schritt 4." },
  changed_retrain: { en: "Pictures have changed: train again", de: "Bilder haben sich geändert: neu trainieren" },
  history: { en: "Accuracy by version of the pictures", de: "Genauigkeit je Fassung der Bilder" },
  version: { en: "Version", de: "Fassung" },
  made: { en: "Made", de: "Entstanden" },
  changes: { en: "Changes", de: "Änderungen" },
  version_changes: { en: "+{added} −{removed}, {moved} moved", de: "+{added} −{removed}, {moved} verschoben" },
  report: { en: "Report", de: "Bericht" },
  report_how: {
    en: "Preset “{preset}”, {pictures} pictures, {images} changed copies of them seen, {day}.",
    de: "Vorgabe „{preset}“, {pictures} Bilder, {images} veränderte Kopien davon gesehen, {day}.",
  },
  report_judged: {
    en: "Judged on pictures that were held out: the training did not learn from them.",
    de: "Beurteilt an zurückgehaltenen Bildern: Das Training hat nicht aus ihnen gelernt.",
  },
  each_class: { en: "Each class", de: "Jede Klasse" },
  class: { en: "Class", de: "Klasse" },
  precision: { en: "Precision", de: "Genauigkeit der Antwort" },
  recall: { en: "Recall", de: "Davon erkannt" },
  reliability: { en: "Reliability", de: "Verlässlichkeit" },
  reliability_how: {
    en:
      "A point for the answers that are about equally sure: to the right how sure they are, up how often they are right. On the line both are equal. Expected calibration error: {error}.",
    de:
      "Ein Punkt für Antworten, die etwa gleich sicher sind: nach rechts, wie sicher sie sind, nach oben, wie oft sie stimmen. Auf der Linie ist beides gleich. Erwarteter Kalibrierungsfehler: {error}.",
  },
  sureness: { en: "Sureness", de: "Sicherheit" },
  mean_sure: { en: "On average sure", de: "Im Mittel sicher" },
  share_right: { en: "Right", de: "Richtig" },
  pictures_changed: {
    en: "The pictures have changed since this training began. Train again, or undo the changes.",
    de:
      "Die Bilder haben sich seit Beginn dieses Trainings geändert. Trainieren Sie neu, oder machen Sie die Änderungen rückgängig.",
  },
  stop_first: { en: "“{name}” is running. Stop it first.", de: "„{name}“ läuft. Halten Sie es zuerst an." },
  run_delete: { en: "Delete “{name}”", de: "„{name}“ löschen" },
  run_delete_ask: { en: "Delete this training and its model?", de: "Dieses Training und sein Modell löschen?" },
  run_deleted: { en: "“{name}” is deleted.", de: "„{name}“ ist gelöscht." },
  keep: { en: "Keep", de: "Behalten" },
  kind: { en: "The pictures are", de: "Die Bilder sind" },
  kind_auto: { en: "whatever they look like", de: "was sie zu sein scheinen" },
  kind_of_ink: { en: "drawings", de: "Zeichnungen" },
  kind_of_photo: { en: "photographs", de: "Fotos" },
  report_alone: { en: "open alone", de: "einzeln öffnen" },
  try_none: {
    en: "Train first, in step 4; then try it here.",
    de: "Trainieren Sie zuerst, in Schritt 4; hier probieren Sie es dann aus.",
  },
  try_pad: { en: "Drawing pad to try the model", de: "Zeichenblatt zum Ausprobieren" },
  open_one: { en: "Open a picture…", de: "Bild öffnen…" },
  answer_here: { en: "The answer will stand here.", de: "Hier wird die Antwort stehen." },
  none_of_these: { en: "none of these", de: "nichts davon" },
  sure: { en: "{sure} sure", de: "{sure} sicher" },
  set: { en: "among {names}", de: "unter {names}" },
  reason_no_drawing: {
    en: "No drawing was found. Most like “{name}”, {sure}",
    de: "Keine Zeichnung gefunden. Am ehesten „{name}“, {sure}",
  },
  reason_unlike_training: {
    en: "Unlike the training pictures. Most like “{name}”, {sure}",
    de: "Anders als die Trainingsbilder. Am ehesten „{name}“, {sure}",
  },
  reason_low_confidence: {
    en: "Not sure enough. Most like “{name}”, {sure}",
    de: "Nicht sicher genug. Am ehesten „{name}“, {sure}",
  },
  seen: { en: "What the network sees", de: "Was das Netz sieht" },
  seen_alt: { en: "The picture at the size that the network sees", de: "Das Bild in der Größe, die das Netz sieht" },
  saliency: { en: "Blue speaks for it, red against it", de: "Blau spricht dafür, Rot dagegen" },
  saliency_alt: { en: "What the answer rests on", de: "Worauf die Antwort beruht" },
  give_away: { en: "Give away", de: "Weitergeben" },
  export_html: { en: "Web page", de: "Webseite" },
  export_html_how: {
    en: "One file that recognises in any browser, offline.",
    de: "Eine Datei, die in jedem Browser erkennt, ohne Netz.",
  },
  export_onnx: { en: "ONNX", de: "ONNX" },
  export_onnx_how: { en: "For other programs and devices.", de: "Für andere Programme und Geräte." },
  export_model: { en: "Model", de: "Modell" },
  export_model_how: {
    en: "The sealed file that glyphnet predict, evaluate and export read.",
    de: "Die versiegelte Datei, die glyphnet predict, evaluate und export lesen.",
  },
  export_card: { en: "Model card", de: "Modellkarte" },
  export_card_how: {
    en: "What it is, what it learned from, how good it is.",
    de: "Was es ist, woraus es gelernt hat und wie gut es ist.",
  },
  export_zip: { en: "Pictures", de: "Bilder" },
};

/** The language of the address, else the last choice, else the browser's, as far as the table has it. @type {() => void} */
export function startLanguage() {
  let stored = null;
  try {
    stored = localStorage.getItem("glyphnet-language");
  } catch {
    // Then the browser's is taken.
  }
  const wanted = [
    new URLSearchParams(location.search).get("lang"),
    stored,
    ...navigator.languages.map((each) => each.slice(0, 2)),
  ];
  language.value = wanted.find((each) => each !== null && each in LANGUAGES) ?? "en";
  language.subscribe((code) => {
    try {
      localStorage.setItem("glyphnet-language", code);
    } catch {
      // Then it lasts until the page is closed.
    }
  });
}

/** With its region: dates of English are not American. @type {() => string} */
export function locale() {
  return language.value === "en" ? "en-GB" : language.value;
}

/** A number as the language writes it. @type {(value: number) => string} */
export function number(value) {
  return value.toLocaleString(locale());
}

/** The words of a key, with values in their places. @type {(key: string, values?: { [place: string]: string | number }) => string} */
export function t(key, values = {}) {
  const row = TABLE[key];
  if (row === undefined) return key; // a name of the engine's that is no word of ours
  const words = row[/** @type {"en" | "de"} */ (language.value)] ?? row.en;
  const text = typeof words === "string" ? words : Number(values.n) === 1 ? words.one : words.other;
  return text.replace(/\{(\w+)\}/g, (_, place) => {
    const value = values[place];
    return typeof value === "number" ? number(value) : value ?? "";
  });
}
