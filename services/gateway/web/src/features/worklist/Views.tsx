/** Views that somebody keeps: filters and an order under a name, to be opened again with one click. */
import { Button, InputGroup, PopoverNext } from "@blueprintjs/core";
import { Bookmark, Cross, Edit, Updated } from "@blueprintjs/icons";
import { useState } from "react";

import { api } from "../../api/api";
import type { ViewOut } from "../../api/generated";
import { ProblemNote } from "../../parts/ProblemNote";
import { useWords } from "../../words/words";
import { words } from "./words";

interface Props {
  /** What the address says of the list. */
  query: string;
  onOpen: (query: string) => void;
}

const LONGEST = 60;

export function Views({ query, onOpen }: Props) {
  const t = useWords(words);
  const [open, setOpen] = useState(false);
  const { data } = api.useListViewsQuery();
  const current = data?.items.find(({ filters }) => filters === query && query !== "");
  const go = (view: ViewOut) => {
    setOpen(false);
    onOpen(view.filters);
  };
  return (
    <PopoverNext
      content={<List views={data?.items ?? []} query={query} onGo={go} />}
      isOpen={open}
      onInteraction={setOpen}
      placement="bottom-start"
    >
      <Button icon={<Bookmark />} aria-label={current ? `${t.views}: ${current.name}` : t.views}>
        <span className="wide-only">{current?.name ?? t.views}</span>
      </Button>
    </PopoverNext>
  );
}

interface ListProps {
  views: ViewOut[];
  query: string;
  onGo: (view: ViewOut) => void;
}

function List({ views, query, onGo }: ListProps) {
  const t = useWords(words);
  const [keep, kept] = api.useCreateViewMutation();
  const [change, changing] = api.useChangeViewMutation();
  const [forget, forgetting] = api.useDeleteViewMutation();
  const [renaming, setRenaming] = useState<string>();
  const [removed, setRemoved] = useState<ViewOut>();
  const remove = async (view: ViewOut) => {
    const answer = await forget({ viewId: view.id });
    if (!answer.error) setRemoved(view);
  };
  const restore = async ({ name, filters }: ViewOut) => {
    const answer = await keep({ viewRequest: { name, filters } });
    if (!answer.error) setRemoved(undefined);
  };
  return (
    <div className="worklist-views">
      {views.length === 0 && !removed && <p className="quiet">{t.noViews}</p>}
      {views.length > 0 && (
        <ul aria-label={t.views}>
          {views.map((view) => (
            <li key={view.id}>
              {renaming === view.id ? (
                <NameForm
                  start={view.name}
                  onName={async (name) => {
                    const answer = await change({ viewId: view.id, viewChange: { name } });
                    if (!answer.error) setRenaming(undefined);
                  }}
                />
              ) : (
                <>
                  <Button
                    className="worklist-view-name"
                    variant="minimal"
                    alignText="start"
                    active={view.filters === query}
                    text={view.name}
                    onClick={() => onGo(view)}
                  />
                  {view.filters !== query && (
                    <Button
                      variant="minimal"
                      icon={<Updated />}
                      aria-label={t.replace(view.name)}
                      title={t.replace(view.name)}
                      onClick={() => void change({ viewId: view.id, viewChange: { filters: query } })}
                    />
                  )}
                  <Button
                    variant="minimal"
                    icon={<Edit />}
                    aria-label={t.rename(view.name)}
                    title={t.rename(view.name)}
                    onClick={() => setRenaming(view.id)}
                  />
                  <Button
                    variant="minimal"
                    icon={<Cross />}
                    aria-label={t.remove(view.name)}
                    title={t.remove(view.name)}
                    onClick={() => void remove(view)}
                  />
                </>
              )}
            </li>
          ))}
        </ul>
      )}
      <div role="status">
        {removed && (
          <p>
            {t.removed(removed.name)} <Button size="small" text={t.undo} onClick={() => void restore(removed)} />
          </p>
        )}
      </div>
      <ProblemNote problem={kept.error ?? changing.error ?? forgetting.error} />
      {query && <NameForm label={t.keepView} onName={async (name) => void (await keep({ viewRequest: { name, filters: query } }))} />}
    </div>
  );
}

interface FormProps {
  label?: string;
  start?: string;
  onName: (name: string) => Promise<void>;
}

function NameForm({ label, start = "", onName }: FormProps) {
  const t = useWords(words);
  const [name, setName] = useState(start);
  return (
    <form
      className="worklist-view-form"
      onSubmit={(event) => {
        event.preventDefault();
        if (name.trim()) void onName(name.trim()).then(() => setName(""));
      }}
    >
      <InputGroup
        aria-label={t.viewName}
        placeholder={label ?? t.viewName}
        maxLength={LONGEST}
        value={name}
        onValueChange={setName}
      />
      <Button type="submit" text={t.keep} disabled={!name.trim()} />
    </form>
  );
}
