/** Which colour is what, and how much of it there is altogether. */

export function Swatch({ at }: { at: number }) {
  return <span className={`swatch swatch-${at + 1}`} aria-hidden />;
}

export function Legend({ names }: { names: readonly { id: string; name: string; sum?: string }[] }) {
  return (
    <ul className="legend">
      {names.map(({ id, name, sum }, at) => (
        <li key={id}>
          <Swatch at={at} />
          {name}
          {sum !== undefined && <b> {sum}</b>}
        </li>
      ))}
    </ul>
  );
}
