import { Link } from "react-router";

import mark from "../app/mark.svg";

export function Mark() {
  return (
    <Link className="mark" to="/" aria-label="CoDetect">
      <img src={mark} alt="" width="26" height="26" />
      <span>CoDetect</span>
    </Link>
  );
}
