import { InputError } from "./translator";

/** What `npm run sample` put beside this page: a generator and photographs, or nothing. */

const models = import.meta.glob<string>("../sample/litert/*.tflite", {
  query: "?url",
  import: "default",
  eager: true,
});
const photos = import.meta.glob<string>("../sample/*.jpg", {
  query: "?url",
  import: "default",
  eager: true,
});

/** A file that comes with the page. */
export interface Sample {
  name: string;
  url: string;
}

export const sampleModel: Sample | undefined = listed(models)[0];
export const samplePhotos: Sample[] = listed(photos);
/** A landscape, as Monet painted. */
export const firstPhoto: Sample | undefined =
  samplePhotos.find(({ name }) => name === "china.jpg") ?? samplePhotos[0];

/** Fetches a file, as if it had been chosen. */
export async function fetchSample({ name, url }: Sample): Promise<File> {
  const answer = await fetch(url);
  if (!answer.ok) {
    throw new InputError(`The sample ${name} is not there; choose a file of yours.`);
  }
  return new File([await answer.blob()], name);
}

function listed(urls: Record<string, string>): Sample[] {
  return Object.entries(urls).map(([path, url]) => ({
    name: path.slice(path.lastIndexOf("/") + 1),
    url,
  }));
}
