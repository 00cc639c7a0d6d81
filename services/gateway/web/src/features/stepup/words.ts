import { catalogue } from "../../words/words";

export const words = catalogue(
  {
    title: "Confirm that it's you",
    why: "What you are about to do can't easily be undone, or opens a way in. It takes your second factor once more; then ten minutes are free of questions.",
    go: "Confirm",
    cancel: "Cancel",
  },
  {
    title: "Bestätigen Sie, dass Sie es sind",
    why: "Was Sie vorhaben, lässt sich nicht leicht zurücknehmen oder öffnet einen Zugang. Es braucht noch einmal Ihren zweiten Faktor; dann fragt zehn Minuten lang niemand mehr.",
    go: "Bestätigen",
    cancel: "Abbrechen",
  },
);
