/** Uploads that a reload or a closed tab cut short, and the way to go on with them. */
import { Button, Callout } from "@blueprintjs/core";
import { useSelector } from "react-redux";

import { type RootState, useAppDispatch } from "../../app/store";
import { useWords } from "../../words/words";
import { discard } from "./gathering";
import { words } from "./words";

export function Unfinished() {
  const t = useWords(words);
  const dispatch = useAppDispatch();
  const { unfinished, earlier } = useSelector((state: RootState) => state.submit);
  return unfinished.map((one) => {
    const here = one.id === earlier?.id;
    return (
      <Callout
        key={one.id}
        intent={here ? "success" : "primary"}
        className="problem"
        title={(here ? t.earlier : t.unfinished)(one.postedFiles, one.files)}
      >
        {here ? t.earlierHelp : t.unfinishedHelp}
        <div>
          <Button size="small" onClick={() => void dispatch(discard(one.id))}>
            {t.forgetIt}
          </Button>
        </div>
      </Callout>
    );
  });
}
