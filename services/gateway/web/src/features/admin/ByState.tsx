/** Lists of what is in one state, which the address names; the first state is that which waits for somebody. */
import { HTMLSelect } from "@blueprintjs/core";
import type { ReactNode } from "react";

import { Heading } from "../../parts/Heading";
import { amended, useAddress } from "../../parts/useAddress";
import { type List, Listed } from "./Listed";

type Words<State extends string> = Record<State | "title" | "state" | "none" | "noneHelp" | "noneOf", string>;

export function useShownState<State extends string>(states: readonly [State, ...State[]]): State {
  const [parameters] = useAddress();
  return states.find((each) => each === parameters.get("status")) ?? states[0];
}

interface Props<State extends string, Item> {
  states: readonly [State, ...State[]];
  words: Words<State>;
  list: List<Item>;
  /** Beside the choice of the state. */
  tools?: ReactNode;
  children: (item: Item) => ReactNode;
}

export function ByState<State extends string, Item>({ states, words: t, list, tools, children }: Props<State, Item>) {
  const [, set] = useAddress();
  const state = useShownState(states);
  const empty =
    state === states[0] ? (
      <>
        <strong>{t.none}</strong>
        {t.noneHelp}
      </>
    ) : (
      t.noneOf
    );
  return (
    <>
      <div className="head">
        <Heading>{t.title}</Heading>
        <HTMLSelect
          aria-label={t.state}
          value={state}
          onChange={({ currentTarget: { value } }) => set((now) => amended(now, { status: value === states[0] ? "" : value }))}
          options={states.map((value) => ({ value, label: t[value] }))}
        />
        {tools}
      </div>
      <section className="panel" aria-label={t[state]}>
        <Listed list={list} label={t.title} empty={empty}>
          {children}
        </Listed>
      </section>
    </>
  );
}
