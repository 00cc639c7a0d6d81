/** What a drag of rows is called; which rows they are stays inside of the page. */
export const DRAGGED = "application/x-codetect-rows";
